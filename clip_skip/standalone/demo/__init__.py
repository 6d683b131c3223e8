"""The bundled demo model: its files, its captions, and the checker that scores its pictures."""
