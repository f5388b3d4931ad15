"""Figures that answer to a slider: all its positions are computed beforehand, and the page only shows them."""
