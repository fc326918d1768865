"""What runs inside the training container: from channels on disk to a model, its metrics and its checkpoints.

Of Traindrop's other package it needs the modules that judge labels and images, which travel to the job beside it.
"""
