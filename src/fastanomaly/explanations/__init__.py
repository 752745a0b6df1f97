"""Why a purchase is flagged, or not: the model, its computation, and its outputs."""
