AlwaysVisible = object()
scripts_data = []


class Script:
    def elem_id(self, item_id):
        return f"script_txt2img_clip_skip_{item_id}"
