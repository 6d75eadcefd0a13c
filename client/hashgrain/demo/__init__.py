"""The main job once, on real servers: encode a collection, index it, search by held-out pictures, show what came."""
