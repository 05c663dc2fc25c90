"""Typed values of the header fields the GB profile uses, one module per grammar."""
