"""Check what one section alone cannot show: keys, groups, files that two options share."""
