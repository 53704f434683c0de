"""The outside world, one SDK an adapter; vendor exceptions become ours here and nowhere else."""
