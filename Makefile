inner:
	PAYONCE_INNER=1 swift test --scratch-path .build-inner
