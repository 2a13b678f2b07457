"""From a provider's HTTP API to checked JSON documents. The only room with httpx.

`client` is the door; `target` says where requests go, `body` reads answers whole, `retry` and `ratelimit` say when to
ask again. What to ask for is the providers' business, what is kept of an answer the lake's.
"""
