"""The lake: masked payloads in Parquet, and the small books beside them (windows, tracked, syncs, refused, accounts).

    patterns    what a secret looks like in a text or a name: spans, no key
    redact      a parsed document and its declared tree -> the document as it may be stored
    files       one content-addressed Parquet file, written atomically, verified by its name
    compact     small files of a folder become one; which file holds what was written under which name
    store       the folders of the lake and what is written to and read from them
    landed      what raw files say of the entities that have landed
    remembered  the same of files that were read before, so that they need not be opened again
    history     what a crawl may ask the lake: coverage, landed, open, due, closed
    private     the one folder in which a secret may lie: mask key and read tokens

No HTTP, no flattening, no warehouse here.
"""
