"""Training of the mini models: one shared loop, one thin module per component."""
