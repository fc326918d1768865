"""The main job, from a dropped dataset to a trained model, on the embedded local cloud."""
