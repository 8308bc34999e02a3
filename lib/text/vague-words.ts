// Words that carry meaning in a sentence and none as a name, by what they may do in a phrase: "better, able, impact, grew".
// Alone they are never keywords. Nouns may end a phrase (yield improvement), describing words only stand before one (hard
// drive), verbs break it. Grammar and manners of speaking, which are out everywhere, are words.ts.

// Read out of the 2,300 words that 3 % or more of 1,023 calls of MAEC use (2016Q3 to 2017Q1): general verbs, adjectives,
// adverbs, and nouns that take any subject; months and days, since every firm has all of them. Nouns of business stay out
// of it, however common: the share of firms that use them weighs them already. What a word is was counted, then read
// through: a noun is what a part-of-speech tagger reads as one in a third of its places in 52,000 sentences of calls. The
// verbs and adjectives are those that two firms or more say: the rest of the language would hardly ever be met.
const VAGUE_NOUNS = listed(`
  ability absence act action actions activities activity addition additions address advance advantage age
  alternative amount amounts appeal approach approaches april area arena arithmetic array aspect aspects attempt
  attention attribute attributes attribution august averages background ballpark base bear beginning behalf behavior
  belief benefit benefits bet bias bips bits bottom bounce bps break breakdown bucket buckets build building builds
  business buy cadence calculation calculations calculus calendar candidate capability capture case cent central
  cents certainty cetera challenge challenges chance change changes check choice chunk circumstance circumstances
  clip coincidence collar colleagues com combination comfort commitment communication companywide comparison
  comparisons competitiveness complement completion component components composition concept concern concerns
  conclusion condition conditions conduct confidence confirmation consideration considerations consistency contact
  continuation contrast contribution contributions contributor contributors control conversation conversations core
  count cover covers creation cut cuts date day days dearest debate decade decades december decision decisions
  decline declines decrease decreases definition degree design desire development developments dialogue difference
  differences differential difficulty digit digits dimensions direction discussions displace distinction doubt downs
  downside dozen dozens drag drain draw driver drivers drives drop drops duration dynamics ease edge effect effects
  effort efforts element elements emphasis encounter ends enhancements environment environments equation equivalent
  estimate et etcetera evaluation event events evidence evolution examples excellence exception exceptions
  excitement execution exercise exhibit existence exit expansions expectation expectations experience experiences
  expert express extent eye eyes face factor factors facts fall falls fashion favor feature february feedback figure
  figures file fills findings finger fingertips finish firm firms fit fits flag flows focus fold following force
  form forma forms foundation frame framework friday front fun function fundamentals gain gains gap gaps gee
  generating generation goal goals granularity ground group guarantee guide half halfway hand hands head headwind
  headwinds heart height hierarchy highlights hinges hire hires history hit hits hold holds honor hope hours
  hundreds hurdle ideal ideas impact impacts implication implications importance improvement improvements incident
  increase increases indication indications indicator inflection influence information initiative initiatives input
  insight insights instances intensity intent intention intentions issues item items january jeopardy job journey
  judge judgment july jump june kick knowledge lack lag lap laughter lay lead leader leaders learning learnings
  length level levels levers lieu life lift light likelihood limit limits line link linkage list lives living logic
  love luck lumpiness magnitude majority manner march mark match material math matters max maximum meantime measure
  measures mechanism meeting meetings memo message method methodology metrics mid-point mid-single-digit mid-teens
  middle midpoint millions mind mindset minutes mirror miss mistake mode model momentum monday monitor monitoring
  movement movements moves multi-year multiyear narrative nature necessity needle negatives night notes notice
  notion november nuance nutshell object objective objectives observation occasion october offer offering offers
  offset offsets opening opinion opportunities opportunity optimism optimization option options order organization
  organizations others outcome outcomes outline overlap overlay overview pace page paint pair participation party
  path pattern patterns pause pay percentages perception performance period periods permit perspectives
  perturbations phase phases phenomenon philosophy pick picks picture pie pile places plan plans play player players
  plays plenty pockets pop portion portions pose position positioning positions positives possibilities possibility
  post practice practices precision premier preparation presence presentation president presidents press principal
  priorities priority probability problem problems procedure proceeding process processes profile progress
  progression promise prompt proof proportion proposition prospect prospects provider proximity proxy purpose
  purposes quantum quote radar range ranges rationale reaction reactions read reading reality realization rearview
  reasoning record reflection relation relevance reliance remainder reminder repeat report reports request
  requirement requirements reset response responses rest result results review rise rises role roles roll rolls room
  root round route run runs runway sake saturday scenario scenarios scope scratch secular semantics september
  sequence series set sets shape sheet sheets shift shifts shot sides sign signal signals significance signs sit
  situation situations sixty size skill slice slip snap sound sounds space spaces span specifics speed spend spends
  spite split spot stage stages stance stand standalone standing stands starts state statement states stay stays
  step steps stick stop strategies strategy strength strengths stress structure struggle style subset substance
  success successes suit sum summary sunday super support surprise swing tail tailor tailwind tailwinds tap target
  targets task taste tempo theme themes theory thesis thousands threshold throw thursday tie ties time timeframe
  timeline timing tomorrow ton tone tons topic topics touch track trajectory transparency trend trends trick trigger
  triggers trouble trunk tuesday turns twofold uncertainties uncertainty understanding undertaking universe update
  updates uplift uptick use uses variety verge version visibility vocabulary waiting walk warrant weakness wednesday
  whack whammy wheelhouse word words work world worry wow wrap www yesterday
`)

// Adjectives, adverbs, number words and participles that say how, when or how much.
const VAGUE_DESCRIBING = listed(`
  absent absolute absorbing accelerating accepting accommodating accompanying accomplishing according accreting
  accruing accurate achievable achieving acknowledging acquiring acting actionable active actual adapting adding
  additional addressing adequate adjusting adopting advancing affecting affording afterwards aggregate aggressive
  agreed aiming alarming albeit aligning alike alive allocating allowing alluding alone alongside altogether amazing
  amongst amounting analyzing anniversarying announcing anticipating anymore anytime anywhere apart apparent
  appealing appearing applicable applying appointing appreciating approaching appropriate approximating arriving
  articulating aside assessing assuming assuring attaching attacking attempting attending attracting attractive
  attributable automating available average averaging avoiding awaiting aware awhile back-end backing backwards bad
  barring basic becoming beefing behaving believing beneficial benefiting besides best better big biggest bleeding
  blocking blowing booming boosting bottoming bouncing bound breaking breathing bright bringing broad broader
  budgeting bullish bumping burgeoning busy calculating calling cannibalizing capable capitalizing capturing
  carrying catching causing challenging changing charging chasing choosing chugging clean clear clearer clicking
  climbing close closer collecting combining comfortable commencing commensurate commenting committing common
  comparable comparing compelling competing competitive comping complementary complementing complete completing
  complex comprehensive comprising conceivable concentrating concerning concluding concurrent conducting confident
  confirming connecting consecutive conservative considerable considering consistent consisting consolidating
  constant constructing consuming contemplating continual contributing controlling converting convincing cooling
  cooperating coordinating coping correcting corresponding costing counting covering creating cresting critical
  crossing crucial cutting cyclical damaging day-in day-out day-to-day de dealing decent deciding declaring
  declining decreasing dedicating deep deeper defending deferring delaying delineating delivering demanding
  demonstrating dependent depending depleting deploying describing designing determining devastating developing
  dialing differentiating difficult digesting diminishing direct directing directional disappointing disclosing
  discovering discrete discussing disposing disrupting distinct distorting distributing diverse diversifying
  divesting doable double double-digit doubling down-market downward downwards dramatic drawing driven driving
  drop-off dropping due dynamic eager earliest earning easier easiest easy echoing economic educating effective
  efficient eight eighteen eighth eighty eleven eliminating elsewhere emanating embedding embracing emerging
  emphasizing employing enabling encouraging end-to-end enduring engaging enhancing enjoying enrolling ensuring
  entering entertaining enthusiastic entire equal escalating essential establishing estimating evaluating evasive
  eventual everyday everywhere evidencing evident evolving ex exact exceed exceeding exceptional excess exchanging
  exciting excluding exclusive executing existing exiting expanding expecting experiencing expiring exploring
  expressing extending extensive extra extraordinary extrapolating extreme facilitating facing factoring fair
  falling familiar farther fascinating fast faster fastest favorable featuring fifteen fifth fifty fighting figuring
  filling final finalizing finding finishing firming first fitting five fixing flagging flat flattening flattish
  flexible flip flipping flow-through flowing flying focusing folding forcing fore foremost foreseeable forever
  former forming forth forthcoming fortunate forty forwards four fourteen fourth-quarter free freeing frequent fresh
  frightening front-end frontloading frustrating full full-year functional fundamental further furthermore future
  gaining game-changer gauging gearing general genuine geographic go-forward go-get gradual granular gratifying
  greater greatest growing guaranteeing guess-work guiding handholding handing hard harder hardest heading healthy
  heavier heavy helping high high-single-digit higher highest highlighting historic historical hitting holding
  honest honing hoping hot hovering huge hundred hurting hypothetical identifying ignoring ill immediate impacting
  imperative implementing implying important impossible impressive improving inappropriate inaudible including
  inclusive incorporating increasing incredible incremental incubating incurring indicating indicative individual
  industry-leading influencing inherent initial initiating innovating innovative inside installing integral
  integrating intending interacting interesting interim internal interrupting intriguing introducing investigating
  investing inviting involving irrespective jay joining judging jumping keen key kicking kidding killing knocking
  lacking lagging large largest lasting latest latter laying leading lean leaning leaving led left legitimate lesser
  leveling leveraging likewise limiting line-up linear liquidating listening live local localizing locking logical
  long long-term longer-term longest losing low low-single-digit lower lowering lowest lucky lumpy macroeconomic
  main maintaining major manageable managing marching marginal marking massive matching materializing mathematical
  maturing maximizing meaning measurable measuring mere merging metric mid minimal minimizing minimum minor minus
  missing mitigating modeling moderate moderating modest modifying month-to-month moreover moving-parts multiple
  mutual naming navigating near-term nearer nearing necessary needing negative negotiating neighboring net net-net
  neutral nevertheless new newer newest nine nineteen ninety ninth nobody nominal non-controlling
  non-interest-bearing non-operating non-people non-performing non-recurring noncontrolling nonetheless
  nonperforming normal normalizing notable noticeable noting notwithstanding nowhere obtaining occurring odd
  offsetting oftentimes old older omitting one-time ongoing open operational opportunistic opposite optimal
  optimistic optimizing order-of-magnitude ordinary organizational oriented original originating ought outgrowing
  outlining outpacing outperforming outside outstanding overnight overseeing own owning paragraph parallel paring
  partial participating particular partnering passing past patterning pausing paying penetrating performing
  period-to-period periodic permanent personal persons phasing phenomenal picking pioneering pivoting placing plain
  playing pleasing plugging plus pointing positive possible potential pounding powering practical pre-existing
  preceding precise predictable predicting preliminary premature preparing prepaying present presenting preserving
  pressing pressuring prevailing primary prior prioritizing pro proactive proceed procuring producing profound
  progressing projecting prominent promising promoting promotional prone proper proprietary prospective protecting
  proud providing proving prudent pulling pure pursuing pushing qualifying qualitative quarter-to-quarter
  questioning quick quicker quiet quoting raising random ranging ranking rapid rare rata rationalizing re reaching
  reacting ready reaffirming real realistic realizing reallocating reasonable reassuring rebasing rebounding
  receiving recognizing recommending reconfiguring recovering redeploying redoing reducing reevaluating referencing
  reflecting reflective refreshing regardless regional registering regular regulatory reinforcing reinvesting
  reiterating relating relative releasing relevant reliable reloading relocating relying remaining remarkable
  remembering reminding removing renegotiating renewing reoccurring repaying replacing replenishing reporting
  representing requesting requiring reselling resetting respecting responding responsible responsive restarting
  resting restoring resulting resuming retaining retiring returning reviewing revising revitalizing rhetoric rid
  right-hand ringing rising robust rolling rooting rotating rough rounding rule-of-thumb ruling running safe
  satisfying saving scrambling se searching seasonal securing seeking select selecting selective sellable sending
  senior sensible sensitive separate separating sequential serving setting seven seventeen seventh seventy shaking
  shaping sharing sharp sharper shedding shifting short short-term shorter showing shrinking shutting shying sick
  side-by-side significant signing simple simpler simplifying single single-digit sitting six sixteen sixth sizable
  slight slow slower slowing small smart smooth smoothing solid solving somehow sometime somewhere sooner sorting
  special specific speculating spreading stabilizing stable stacking staggering stand-alone standard stating staying
  steady stealing stemming stepping sticking stimulating straight straightforward strategic strengthening stretching
  striving strong stronger strongest structural struggling stuck studying subject subsequent substantial sudden
  suffering sufficient suggesting suitable superb superior supplementing supplying supporting supportive surprising
  surrounding sustainable sustaining tackling take-away tangible tapping targeting teaming teeing temporary ten
  tendering tending tenth terminating terrible thereafter thereby thereof thinking third third-quarter thirteen
  thirty three throwing tight tighter tiny top top-notch totaling touching tough tougher tracking transferring
  transforming transitioning translating transparent treating trending triggering trimming triple twelve twenty two
  tying typical ultimate unable uncertain undergoing underlying underneath underperforming underpinning
  understandable underway unfavorable unfolding unfortunate unique unknown unlike unlocking unsettling unusual
  unwinding upcoming updating upfront upper upside upward upwards urge usual utilizing vacating valid validating
  valuable variable varying vast versa viable viewing virtual vis visible visiting vital volatile walking watching
  weak weaker weighing whatever whatsoever whenever whereby wherever whoever wide wider willing winding winning wise
  world-class worldwide worse worsening worst worst-case worth worthwhile wrapping wrong year-ago year-end
  year-on-year year-to-date year-to-year young zero
`)

/** Forms that are verbs nearly wherever they stand: "sales grew" and "create value" are sentences, not phrases. */
export const VERBS = listed(`
  abate absorb accelerate accelerates accentuate accept accepts accommodate accompanies accompany accomplish accrue
  accumulate achieve achieves acknowledge acquire acquires activate adapt adjust administer admit adopt advise
  affect affects afford agree align allocate allow allows alter amend amplifies amplify analyses analyze announce
  anticipate anticipates apologize appear appears applies approve argue arise arisen arrive articulate asks assess
  assist assumes assure attach attain attend attract attracts augment automate avoid await bake beat became become
  becomes beg began begin begins begun behave belabor belong blown bode bodes boils bolsters born borne borrow
  bought bounces broaden broke broken built bypass calculate cancel cannibalize capitalize carry carve catch
  categorize cater caught cease celebrate celebrates centralize characterize chase choose chooses chop chose chosen
  cite classify climb closes coincide collaborate collect combine commence commercialize commit communicate compare
  compares compensate compete competes completes comprise comprises compute concentrate conclude concludes confirm
  confuse congratulate connect conquer consider considers consist consists consolidate constitute constrain consume
  contain contains contemplate contribute contributes convert converts convey convince coordinate cope corrects
  correlate covet create creates creep customize dampen dare darn dealt decide decides decipher declare dedicate
  deem deepen defend defer define defines deliver delivers demonstrate demonstrates deny depend depends deploy
  depreciate deserve deserves deteriorate determine develop develops devote dictate dictates differ differentiate
  differentiates differs dig digest dilute diminish disagree disappear disappoint disclose discontinue discover
  discriminate dislodge dispose disrupt dissect disseminate dissipate distinguish distract distribute diversify
  divest divulge dominate doubles drawn drew drive drove earn earns eat educate elaborate elect elevate eliminate
  eliminates embrace emerge emphasize employ enable enables encompasses encourage engage enhance enhances enjoy
  enjoys enroll ensure ensures enter enters entertain equate equates erode establish etch evaluate evolve evolves
  examine exceeds excite exclude excludes execute executes exist exists expand expands expect expects expedite
  expire expires explains exploit explore expose extend extends extrapolate faces facilitate fail fallen fell ferret
  fill finalize find finds finishes fix flatten flattens flew flourish flown fluctuate fluctuates focuses follows
  foresee forget forgot forgotten formulate fought found freed frees frozen fulfill garner gather generate generates
  grab gravitate grew grips grow grown grows handicap handle hang hate held hesitate hinge hung hunker hurt hurts
  identify ignore illustrate illustrates implement implies improve improves include includes incorporate
  incorporates incur indicate indicates infer inform initiate innovate inspect integrate integrates intend interact
  interpret introduce invest invigorate involve involves isolate join joins justify keeps knew knocks laid lasts
  lays leads learn learns leave leaves lend lends lengthen lessen likes liquidate listens locate lose loses lost
  loves lowers maintain maintains manage manages materialize matures maximize maximizes meet meets merge met migrate
  minimize misses mitigate mobilize modernize modify modulate monetize motivate navigate negotiate normalize
  normalizes nurture observe obtain occupies occupy occur occurs offload opens operate operates optimize organize
  originate outgrow outlines outpace outperform outsource overcome overpay oversees overtake owns paid parse
  participate pass passes pave pays penetrate perceive perform performs persist portend portends possess pour
  predict prefer prepare preserve prevent prioritize procure produce produces progresses promote propel propose
  proposes protect protects prove proven proves provide provides prune publish pull pulls pursue push qualifies
  qualify quantify raise raises ran reach reaches react reads reaffirm reaffirms realign realize reap rebuild
  rebuilds rebuilt receive recognize recognizes recommend reconcile recover recovers recruit recur redeem redefine
  redeploy redo reduce reduces refinance refine reflect reflects refocus refresh refurbish refuse regain regulate
  reimburse reinforce reinforces reinvest reinvigorate reiterate relate relates relies relieve reload relocate
  remediate remind remove renegotiate renew reopen reorganize repaid repay replace replaces replenish replicate
  represent represents require requires resemble resides resolve resonate resonates respond responds restate restock
  restore restructure resume retain rethink retire reuse reveal reverse revert reverts revise revisit risen rose
  sacrifice satisfies satisfy save saves scrutinize seek seeks seem seems seize sell sells send sent serve serves
  settle settles shorten shown shrink shrunk shut simplify sits skew skips slash slows soften sold solicit solidify
  solve solves sought specialize speculate spent spoken spun stabilize stabilizes stimulate stir stolen stood
  streamline strengthen strengthens strive struck submit subside succeed suffer suffice suggest suggests summarize
  supports suppresses surpass surround survive suspect sustain swept tackle tease tells tend tends terminate threw
  thrive thrown tighten tolerate toss transact transform translate translates treat triangulate tries underestimate
  undergo underperform underpin underscore underscores understands undertake undertaken underwrite underwritten
  unfold unfolds unload unlock unpack upload utilize utilizes vacates validate validates varies vary verify wait
  wears weigh widen win wish withdraw won wore woven write written wrote
`)

export const VAGUE_WORDS: ReadonlySet<string> = new Set([...VAGUE_NOUNS, ...VAGUE_DESCRIBING, ...VERBS])

/** Adjectives that do tell, but before another word only: commercial is no name, commercial loans is. */
export const ADJECTIVES = listed(`
  abnormal abundant academic acceptable accessible accountable accretive acquisitive actuarial acute adaptive
  addressable adjacent administrative adverse aerial affluent affordable afraid african agile agricultural airborne
  alternate ambient ambulatory american ample analogue analytic analytical ancillary anecdotal anemic appreciative
  approximate arab architectural artificial asian astute asymmetric athletic australian authentic autoimmune
  automatic automotive behavioral benign black blind blue bold bookable brazilian brief brisk british broadest
  budgetary bumpy busier busiest callable canadian candid captive cardiac casual catastrophic centric characteristic
  cheap cheaper cheapest chemical chinese choppy chronic circular civilian classic cleaner cleanest clinical closest
  cloudy coastal cognitive cognizant coincidental cold colder collaborative commercial comparative complacent
  compliant complimentary composite conceptual concise conducive confidential confusing constructive contingent
  contractual controllable convenient conventional convertible corporate corrective crazy creative credible criminal
  cultural cumulative customary customizable dead defensive definite definitive deflationary deliberate delicate
  democratic demographic dense dental desirable detectable developmental diagnostic diastolic digital diligent
  discerning discretionary disposable disproportionate disruptive distant distinctive domestic dominant downstream
  drastic dry durable dutch eastern economical educational electric electrical electronic eligible empty enjoyable
  environmental episodic erratic ethnic european evidentiary excessive exemplary exempt expensive experiential
  explicit explosive external facial false fat favorite feasible federal female feminine fiduciary financial finite
  fixed-income floating fluid foolish foreign formal fragile french friendlier frugal funny generational generative
  generic genetic geographical geopolitical german gigantic global governmental greek gross handheld handy happier
  harsh healthier heroic hesitant holistic human hungry hybrid hydroelectric iconic identical idle immaterial
  imminent immune implicit inadequate inaugural inbound incoming inconsistent incumbent independent indian
  indifferent indirect indonesian industrial inefficient inevitable inexpensive inferior inflationary influential
  informative infrequent injectable inorganic insignificant instant institutional instructive instrumental intact
  intangible intellectual intelligent intense intensive intentional intermediate international intimate intrinsic
  introductory intuitive invaluable invasive investable irish irrational irrelevant israeli italian japanese joint
  korean lackluster lame latent latin leaner legal legislative lengthy leveragable lighter lightweight liquid
  logistical longtime loud loyal lumpier magical mandatory marketable mature mechanical medical metabolic metastatic
  methodical metropolitan mexican micro midwestern mild milder military millennial misleading mistaken mobile modern
  modular multimillion multinational municipal murky narrow narrower national nationwide natural nearby nearest
  negligible neural neuromuscular nicer nimble noisy non-cash non-comp non-core non-interest nonaccrual noncash
  noncore nonexistent noninterest nonrecourse nonrecurring nonresidential nontraditional northeastern northern
  northwestern norwegian noteworthy nutritional obsolete official offline oldest operating operative optical oral
  organic outbound outdoor overlapping overseas paramount passionate passive payable pediatric pending pent
  perpetual persistent pharmaceutical physical pivotal pleasant polish political poor popular portable potent
  pragmatic pre-tax predictive predominant preferable prepaid presidential prevalent preventative private privy
  problematic procedural productive professional profitable progressive prolific public pulmonary pursuant
  quantifiable quantitative questionable quickest radical ratable rational raw reactive rear receivable receptive
  recoverable recreational recurring redundant relational reliant reluctant remote repeatable repetitive requisite
  residential residual resilient resistant respective respiratory reticent retroactive reusable revolutionary
  revolving rheumatoid rich richer ripe risky robotic routine rude rural russian safer satisfactory saudi savvy
  scalable scarce scientific scottish seamless secondary secure seismic severe shaky shallower sheer shy sizeable
  slick slim slowest sluggish smallest smarter social soft softer softest sole solvent southeastern southern
  southwestern spanish spare spectacular speculative spinal square static statistical statutory steadfast steep
  stellar stickier sticky strange strict striking stringent substantive suburban supplemental surgical susceptible
  swedish sweet swiss synergistic systematic systemic systolic tactical tall taxable technical technological
  tentative tertiary therapeutic thermal thick thin thinner thoracic thorough topical traditional transient
  transitional traveling tricky trite trivial turkish unacceptable unclear uncollectible uncomfortable uncommon
  underwater undrawn undue uneven unfair unforeseen unheard universal unnecessary unpredictable unprofitable
  unrealistic unreasonable unsustainable unwavering upbeat urban urgent vacant vascular ventricular vertical
  veterinary vibrant vigilant vintage viral virgin visual void voluntary warm warmer weakest weird western wet white
  widespread wooden working worthy wound yellow younger
`)

/** Whether a word can be what a phrase is about, and so its last one: improvement can, higher and commercial cannot. */
export function mayEndPhrase(word: string): boolean {
  return !VAGUE_DESCRIBING.has(word) && !VERBS.has(word) && !ADJECTIVES.has(word)
}

/** People whom a speaker calls by their first name are no subject. Some are words besides (bill, mark): a capital tells. */
export const FIRST_NAMES = listed(`
  aaron adam alan albert alex alexander alfred allen allison amanda amy andre andrea andrew andy angela anil ann
  anna anne anthony antonio arthur barbara barry ben benjamin beth betsy bill billy blake bob bobby brad bradley
  brandon brenda brent brett brian bruce bryan byron carl carlos carol caroline carolyn catherine cathy cecil
  charles charlie cheryl chris christian christina christine christopher chuck cindy claire clayton colin craig
  curtis cynthia dan dana daniel danny darren daryl dave david dean debbie deborah debra denise dennis derek diana
  diane dick don donald donna doug douglas duane dwight ed eddie edward elaine elizabeth ellen emily eric erica erik
  erin ernie eugene evan frank fred frederick gary gayle geoff george gerald gerard glen glenn gordon greg gregory
  guy hal hank harold harry heather helen henry howard hugh ian irene jack jackie jacob jake james jamie jan jane
  janet jared jason jay jean jeff jeffrey jen jennifer jeremy jerry jessica jill jim jimmy joan joe joel john johnny
  jon jonathan jose joseph josh joshua joyce juan judith judy julia julian julie justin karen karl kate katherine
  kathleen kathy katie keith kelly ken kenneth kenny kent kevin kimberly kirk kristen kristin kurt kyle larry laura
  lauren laurie lawrence lee leo leonard les leslie linda lisa lori louis luis luke lynn marc marcus margaret maria
  marie marilyn mario mark marshall martin marty mary matt matthew maureen megan melissa michael michelle miguel
  mike mitch monica nancy nathan naveen neil nicholas nick nicole nigel norm norman oliver oscar pam pamela pat
  patricia patrick patty paul paula pedro peggy peter phil philip phillip phyllis rachel rajiv ralph randall randy
  ravi ray raymond rebecca rene richard rick ricky rob robert roberto robin rod rodney roger ron ronald rory ross
  roy russ russell ruth ryan sally sam samuel sandra sara sarah scott sean seth shannon sharon sheila shelly sherry
  sid sidney simon spencer stacy stan stanley stefan stephanie stephen steve steven stewart stuart sue susan suzanne
  tammy ted teresa terri terry theodore theresa thomas tiffany tim timothy todd tom tommy toni tony tracy travis
  trevor troy tyler valerie vanessa vern vic vicki vickie victor victoria vijay vince vincent walt walter warren
  wayne wendy wes wesley william yvonne zach
`)

function listed(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
