"""Play random days of a random project with two versions of the program, and compare what each did."""
