"""What of a run needs a person's look, and who is told?"""
