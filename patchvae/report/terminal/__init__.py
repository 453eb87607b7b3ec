"""What commands print, a module each with `show`; it computes nothing and writes no file."""
