"""The bundled sandbox: the four provider APIs on loopback, with a made-up but lifelike history.

Here live the clock and the randomness every provider shares (`world`) and the HTTP server that mounts them (`server`);
each provider's API itself is `pipelines.providers.<name>.sandbox`. Nothing of extraction, flattening or schemas is
imported by any of them: what the sandbox says comes from the providers' documents, so it can disagree with our code.
"""
