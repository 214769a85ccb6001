"""Commands that change something, once a person has decided. One file each: the file's name is the command's name."""
