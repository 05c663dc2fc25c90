"""Procedures of GB/T 28181 chapter 9 that have a timer or a memory."""
