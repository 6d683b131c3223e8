"""A study without a WebUI: settings, folder, makers, scores, results."""
