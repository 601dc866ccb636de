"""Sora's editor over any video model: functions from films to films (`maker` says what they ask of a model).

Nothing is made before it is read, and memory does not grow with a film's length:

    pipeline = Pipeline.load()
    plan = resolve(Request(prompt="a red ball bounces"), pipeline.defaults)
    maker = PipelineMaker(pipeline=pipeline, plan=plan, prompt="a red ball bounces")
    film = extend(maker, FileFilm("ball.mp4"), seconds=30)
    write_film(Path("longer.mp4"), film)
"""
