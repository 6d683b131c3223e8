"""What people are told: messages, their translations, fonts that have the letters, line breaking."""
