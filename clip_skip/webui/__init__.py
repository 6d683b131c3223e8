"""What runs inside a WebUI: the only folder that imports `modules.*`.

A prompt's way, in the order of the host's calls (`scripts/clip_skip.py` has them):

    generation.begin          the panel's arguments are read, or refused (errors.py)
    sweep_batch.prepare       a sweep's batch gets its seeds and texts when the other extensions are done
    generation.prepare        what a sweep or an axis sets is put in the place of panel and tags (overrides.py)
    generation.mark_prompts   tags become markers in the batch's texts; the infotext says so (infotext.py)
    conditioning.follow       until the pictures are made, pieces without a marker follow the batch's prompts
    conditioning.encode       the host encodes: markers come out, and each text gets the hidden state it asks for
    generation.end            what was wrong is told in the API's answer
"""
