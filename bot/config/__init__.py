"""What an administrator writes, read and checked.

settings           settings.toml and its environment
inventory_file     inventory.toml: clusters, hosts, VMM servers, backup products
validation_errors  what is wrong with either, in words, naming file and key
"""
