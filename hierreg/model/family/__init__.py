"""What `Model` does where the response is not normal."""
