"""Classification: the target is one of two classes, or of K (course 8, 9)."""
