"""What the notebooks need around initlib: data, training, claims, figures and runs."""
