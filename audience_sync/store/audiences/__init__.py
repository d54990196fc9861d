"""Keep what is stored of each audience and computed trait: holds, freezes, absences, suppressions."""
