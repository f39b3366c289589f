"""The engine of one grouping factor or none: groups that stand alone, or in small linked blocks."""
