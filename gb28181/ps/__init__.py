"""MPEG-2 program streams as GB/T 28181 Annex C uses them."""
