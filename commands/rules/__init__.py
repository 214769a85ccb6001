"""Rules as data: what is known about single updates and writers, each with its source and date."""
