"""Benchmarks: each module measures one thing and answers figures that say more as ratios than as seconds."""
