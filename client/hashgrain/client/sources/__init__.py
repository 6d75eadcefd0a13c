"""Collections to encode: folders, lists, archives, tables and addresses, and the items that they hold."""
