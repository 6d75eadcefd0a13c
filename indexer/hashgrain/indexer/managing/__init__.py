"""An index as a whole: made, opened, switched, listed, measured and dropped."""
