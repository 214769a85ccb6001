"""Commands that only look. One file each: the file's name is the command's name."""
