"""Look at decisions without making one: plan, calibrate, explain and replay."""
