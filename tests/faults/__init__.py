"""Every call of a promotion that touches the outside, failing in every way, and races of many processes."""
