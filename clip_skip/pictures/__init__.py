"""What a picture says of how it was made, whichever tool made it. Standard library and Pillow only."""
