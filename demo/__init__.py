"""The studio: a page on which a picture and a caption become music."""
