"""Words of sight and sound that BERT's vocabulary cuts into pieces, kept whole in the word table.

A static table has no context: "c", "##yan" says nothing about a colour. Each word here gets a row of its own, made by
running all its pieces through the source model at once. The list is broad on purpose and was written without regard to
which words the world trains on.
"""

from __future__ import annotations

_COLOURS = """
cyan teal magenta mauve lilac fuchsia vermilion vermillion carmine mahogany burgundy cerise puce auburn russet
sienna ochre umber sepia taupe fawn tawny saffron tangerine apricot persimmon papaya mango terracotta
chartreuse aquamarine cerulean ultramarine periwinkle amethyst lapis aubergine heliotrope orchid wisteria thistle
alabaster eggshell porcelain snowy chalky whitish greyish reddish bluish greenish yellowish purplish pinkish brownish
blackish orangey bluey creamy pearly opalescent iridescent fluorescent neon pastel multicolored multicoloured colorless
colourless translucent opaque golden silvery coppery rosy pinky inky sooty ebony charcoal khaki beige sable topaz
turquoise garnet citrine peridot malachite verdant navy limey mossy avocado pistachio
scarlet raspberry cranberry pomegranate poppy brick rust ketchup lobster ladybug cardinal cayenne paprika rooster maroon
tomato strawberry tomatoes strawberries cherry cherries blood rhubarb beetroot radish watermelon
pumpkin carrot carrots clementine mandarin nectarine peach cantaloupe marigold butternut yam kumquat satsuma bronze
ginger mustard banana sunflower daffodil buttercup honey butter corn maize custard dandelion egg yolk flax straw
primrose buttery pineapple sulphur butterscotch jonquil
grass fern clover shamrock spinach lettuce broccoli cucumber kiwi pea basil parsley artichoke asparagus cactus sage
kelly seaweed pickle celery cabbage frog leaf ivy moss lime olive mint pine
lagoon caribbean celeste seafoam aquatic verdigris
azure indigo cobalt denim sky ocean cornflower blueberry jeans steel midnight prussian bluebell delft marine bluebird
eggplant grape grapes lilacs iris raisin mulberry fig magenta violet violets boysenberry heather
chalk milk cream pearl coconut cotton rice marble paper linen vanilla salt sugar lily dove swan polar bone
"""

_SHAPES = """
sphere spheres orb orbs globe globes ovoid ellipse ellipses ellipsoid oval ovals cuboid cuboids cube cubes prism prisms
pyramid pyramids cylinder cylinders cone cones torus toroid donut donuts doughnut doughnuts hoop hoops bagel bagels
doughnut tyre tire bauble baubles baseball
annulus pentagram pentagrams pentagon hexagon octagon asterisk asterisks starburst starfish rhombus trapezoid
parallelogram polygon triangle triangles rectangle rectangles crescent carton cartons crates parcel parcels packages
bead beads marbles pebble pebbles pellet pellets beachball basketball volleyball snowball snowballs fireball
bracelets bangle bangles wristband hula halos washer gasket squares diamonds rectangular spherical cubic circular
triangular conical cylindrical oblong spiky spiked pointy pointed rounded roundish boxy starry
"""

_THINGS = """
hatchback minivan roadster limo limousine cab lorry lorries trucks bulldozer tractors scooter moped motorbike
sailboat sailboats dinghy dinghies canoe canoes kayak kayaks yacht yachts gondola rowboat speedboat trawler
catamaran goldfish minnow minnows guppy herring sardine sardines anchovy tuna mackerel haddock halibut piranha
gull gulls seagull seagulls sparrow sparrows canary canaries finches robins pigeons parrot parrots parakeet
swallow swallows starling magpie seabird songbird birdie chick chickadee hummingbird woodpecker heron
spaceship spaceships starship starships spacecraft rocketship projectile projectiles warhead
conifer conifers evergreen evergreens sapling saplings shrub shrubs birch spruce cypress sycamore poplar
toy toys balloon balloons bubble bubbles kite kites pinwheel frisbee boomerang butterfly butterflies dragonfly
robot robots snowman teddy doll dolls puppet dinosaur dinosaurs kitten kittens puppy puppies bunny bunnies
"""

_SIZES = """
tiny teeny teensy itty minuscule miniscule diminutive pint puny petite pocket bite miniature mini microscopic
midsize midsized sized oversize oversized outsize outsized humongous ginormous gargantuan mammoth titanic colossal
gigantic enormous immense hefty bulky chunky jumbo king sizeable sizable smallish largish biggish
"""

_MOTIONS = """
slides slid glide glides gliding glided skid skids skidding skidded skate skates skating slither slithers slithering
drift drifts drifting slips slipping coasts coasting scoots scooting scoot shuffles shuffling sweeps swoosh
rolls tumbles tumbling tumble trundle trundles trundling somersault somersaults somersaulting cartwheels
bounces bouncing bounced bouncy rebounding rebounds ricochet ricochets ricocheting boing dribbles dribbling
falls drops plummet plummets plummeting plunges plunging plunge descends descending topple topples toppling
sinks sinking crashes tumbled nosedive nosedives rises rising ascends ascending ascend soar soars soaring levitate
levitates levitating floats floating hovers hovering hover lifts climbs climbing launches launching
lingers lingering linger idles idling rests resting stays staying stands sits remains waits waiting motionless
immobile unmoving stationary static frozen
throws throwing tosses tossing flings flinging fling hurls hurling hurl hurled lobs lobbing lobbed lob chucks chucked
pitches catapulted launched slung
hops hopping hop hopped jumps jumping leaps leaping leap skips skipping vaults vaulting bounds bounding
swings swinging sways swaying sway dangles dangling dangle oscillates oscillating oscillate rocks rocking pendulum
wobbles wobbling wobble spins spinning twirls twirling twirl whirls whirling whirl swirls swirling swirl rotates
rotating revolves revolving revolve pirouettes pirouetting pirouette gyrates gyrating turns turning
circles circling orbits orbiting loops looping encircles encircling
collides colliding collide bumps bumping smashes smashing slams slamming rams ramming clashes clashing bangs banging
thuds hits hitting strikes striking knocks knocking
leftward leftwards rightward rightwards sideways sidewards upwards downwards upward downward forwards backwards
clockwise anticlockwise counterclockwise horizontally vertically diagonally
slowly gently swiftly quickly briskly smoothly steadily silently noisily loudly softly repeatedly
flies flying flutters fluttering flaps flapping zooms zooming darts darting zips zipping rushes rushing dashes dashing
crawls crawling creeps creeping wanders wandering dances dancing shakes shaking vibrates vibrating shivers trembling
jiggles jiggling melts melting explodes exploding bursts bursting swims swimming sails sailing drives driving
"""

_PLACES = """
floorboards floorboard planks plank parquet hardwood laminate plywood lumber timber decking
sandy dunes dune beaches seashore seaside shoreline sandbox sandpit desert deserts arid
gloomy murky dusky dim dimly shadowy unlit moonlit nocturnal blackened darkened darkness nighttime midnight
featureless blank plain backdrop backgrounds minimalist uncluttered
grassy meadows pasture pastures prairie prairies lawns turf grassland grasslands pastoral
snowfield snowdrift snowdrifts snowbound wintry icy frosty frosted tundra glacial slush slushy
drizzle drizzles drizzling drizzly downpour downpours rainstorm rainstorms rainfall rainy pouring raindrops raindrop
thunderstorm cloudburst sleet hail hailstorm snowfall snowflake snowflakes snowstorm flurry flurries blizzard blizzards
sunny cloudy foggy misty hazy windy breezy stormy
rubbery bouncy wooden plywood metallic steely chrome aluminium aluminum brass brazen stony glassy plastic
pans panning zoomed dolly dollies tilts tilting tracks pullback retreats retreating retreat withdraws withdrawing
recedes receding recede nears nearing approaches approaching magnifies magnifying closeup
"""

_SOUNDS = """
thud thuds thump thumps thumping clang clangs clanging clank clanks clink clinks clunk clunks ding dings
knock knocks tap taps patter patters pattering chirp chirps chirping tweet tweets tweeting hum hums humming buzz buzzes
buzzing whir whirs whirring whoosh whooshes swish hiss hisses hissing rumble rumbles rumbling roar roars roaring
rattle rattles creak creaks squeak squeaks squeaking boing plop plops splash splashes splashing crackle crackles
silent silence noiseless soundless audible muffled dull metallic hollow
"""

VISUAL_WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(" ".join((_COLOURS, _SHAPES, _THINGS, _SIZES, _MOTIONS, _PLACES, _SOUNDS)).split())
)
"""Lower-case ASCII words, in a fixed order, without repeats."""
