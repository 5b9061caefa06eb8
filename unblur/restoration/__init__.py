"""A network applied to photographs: tiles, memory, strength, and every kind of picture in and out."""
