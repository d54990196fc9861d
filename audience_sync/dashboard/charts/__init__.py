"""Draw charts as SVG, with attributes only: the content security policy forbids inline styles."""
