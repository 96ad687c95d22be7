"""From a net in real numbers to one in integers: ranges, formats, rounding, proof."""
