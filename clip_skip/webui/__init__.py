"""The code that runs inside a WebUI: the only folder that imports `modules.*`.

The path of a prompt, in the order of the host's calls (in `scripts/clip_skip.py`):

    generation.begin          parses the panel's arguments, or rejects them (errors.py), and begins the state (state.py)
    batch.prepare_generation  gives a sweep's batch its seeds and texts after the other extensions
    generation.apply_sweep_values    replaces panel and tags by the values of a sweep or an axis (overrides.py)
    generation.mark_prompts   parses the batch's texts (prompt/parsed.py); tags become markers; writes the infotext
    conditioning.follow       until the pictures are made, unmarked pieces follow the batch's prompts
    conditioning.encode       the host encodes: markers are taken out, and each text gets its hidden state
    generation.end            reports warnings in the API's answer
"""
