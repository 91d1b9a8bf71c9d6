"""What a run leaves for people: `report.json`, `report.html` and a summary in the terminal."""
