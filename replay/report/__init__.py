"""Reports for people: one HTML file each, which loads nothing from anywhere."""
