"""What runs inside the training container: from channels on disk to a model, its metrics and its checkpoints.

It needs none of Traindrop's other packages, since only these files travel to the job.
"""
