"""What runs say when they stand side by side: equality, statistics, the page."""
