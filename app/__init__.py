"""The page: layout, controls and handlers. No torch, no maths."""
