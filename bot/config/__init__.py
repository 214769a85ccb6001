"""What an administrator writes, read and checked.

settings           settings.toml and its environment
inventory_file     inventory.toml: clusters, hosts, VMM servers, backup products, web servers
inventory_strings  what each text of the inventory is: a name, a sentence, a word of hvops
web_addresses      which addresses of web servers may be asked, and which never
logins             the forms in which a login is written, and which of them a transport takes
validation_errors  what is wrong with either, in words, naming file and key
"""
