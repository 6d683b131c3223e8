"""Messages for people: templates, translations, fonts that have the letters, line breaking."""
